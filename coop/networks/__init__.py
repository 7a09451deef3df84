"""Networks: registration, covenant, subjects and aliases, webhooks, shares, settlement."""
