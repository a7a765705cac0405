"""relun gives a cloned LUN that holds a storage repository an identity of its own."""
