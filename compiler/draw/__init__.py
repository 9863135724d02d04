"""Pictures of networks: a scene of boxes and edges, in several styles and formats."""
