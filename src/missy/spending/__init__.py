"""What each call costs: estimated and reserved before it if there is a limit, counted and recorded after it."""
