"""Where credentials come from and how they stay unseen. Never prints, never connects."""
