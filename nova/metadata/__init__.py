"""What a guest may read about itself: one builder for the metadata API and the config drive."""
