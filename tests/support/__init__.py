"""What several tests use: clips, frames and how near they are, and a network of another making."""
