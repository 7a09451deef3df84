"""Money coming in and going back: the gateway to Stripe, checkout, events, refunds."""
