"""Plots of networks by two of their columns, for papers and slides. `request` is checked without matplotlib, which `figure` imports."""
