"""The PyTorch backend: lowers a program to a torch.fx GraphModule, runs it, optimizes it, and writes what torch can store."""
