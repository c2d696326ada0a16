"""How the pocket checkpoint is made: a tower learns to see a drawn world, and a language model to talk about it."""
