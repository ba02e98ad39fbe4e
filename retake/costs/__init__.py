"""What a system costs: operations counted, times taken."""
