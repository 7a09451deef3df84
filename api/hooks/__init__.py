"""What others call: Stripe's webhooks."""
