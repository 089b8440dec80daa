"""Many files one after the other: which they are, and the queue that works on them."""
