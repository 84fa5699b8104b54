"""The commands, one file each. They read the options, call the library, and print the result."""
