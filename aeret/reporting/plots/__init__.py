"""Draw the figures of reports as SVG, one file per figure."""
