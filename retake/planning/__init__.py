"""What `retake.plan` is made of: reading recipes, resolving variants, finding a rule's code."""
