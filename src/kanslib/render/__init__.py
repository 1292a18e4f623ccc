"""Tables and pictures from data. Nothing here asks a backend or a lab."""
