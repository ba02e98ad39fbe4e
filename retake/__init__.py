"""Video-understanding papers, rebuilt as one graph."""
