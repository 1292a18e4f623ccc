"""The course as a static website: its pages, and what they hold so that they work without a kernel."""
