"""Engine programs: routers placed on links, joined with templates, stored, and tried again."""
