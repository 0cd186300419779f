"""Build the sections of reports, one file per section."""
