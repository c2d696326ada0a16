"""A question's way from chat to answer."""
