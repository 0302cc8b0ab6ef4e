"""Engine programs: read, checked, stored, known in advance, and set aside when they kill."""
