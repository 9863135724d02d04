"""The PyTorch backend: lower a program to a torch.fx GraphModule, run it, optimize it, and write it in the formats of torch."""
