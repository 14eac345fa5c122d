"""The rows of survey A by kind of data; each module has `ROWS`: row -> function of a seed."""
