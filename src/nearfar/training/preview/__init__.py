"""What a training would see."""
