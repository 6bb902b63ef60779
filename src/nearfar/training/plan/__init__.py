"""What was asked and what the data are, as what will be done."""
