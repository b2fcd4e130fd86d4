"""Files that banks read and write, and what a line of a statement may be."""
