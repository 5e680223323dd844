"""Every method: one file each, in the folder of its kind."""
