"""Train, evaluate and use networks: the loop is ours, and devices, precision, metrics, transforms and logs are libraries'.

Only `recipe`, `cuts` and `stored` are free of torch.
"""
