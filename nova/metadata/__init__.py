"""What a guest may know of itself: one builder for the metadata API and the config drive."""
