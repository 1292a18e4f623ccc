"""Raw recordings: what a recording script or a live lab's journal wrote, and their conversion to format 1."""
