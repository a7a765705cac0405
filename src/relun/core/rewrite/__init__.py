"""What changes where: the new bytes of each structure, from the old ones and an Identity."""
