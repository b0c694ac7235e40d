"""Operations: their words, the engine that runs them, and how they end."""
