"""The catalogues of kanslib's texts, and a pseudo-language that shows what no catalogue reaches."""
