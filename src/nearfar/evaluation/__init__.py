"""Honest measurement: floors beside every figure, intervals, and what is measured on which rows."""
