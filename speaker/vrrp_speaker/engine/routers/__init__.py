"""Virtual Routers at run time: kept in step with the program, fed, and their actions done."""
