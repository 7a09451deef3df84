"""A Stripe-shaped sandbox: the part of Stripe's API that the cooperative uses, with a hosted page."""
