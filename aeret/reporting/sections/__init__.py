"""The parts of the evaluation report, one file each: a function from evaluation and inputs to a section."""
