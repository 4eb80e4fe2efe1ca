"""Reports in: the doors for machines, each in the dialect that its sender already speaks."""
