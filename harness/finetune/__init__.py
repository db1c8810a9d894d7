"""What trains a base model before it is evaluated."""
