"""``relun pool``: a clone's way into a pool and out of it. Each verb has a module of its own."""
