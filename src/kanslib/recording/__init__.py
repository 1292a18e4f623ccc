"""What a recording is on disk, how its clock runs, and how one is made, checked and converted."""
