"""Who else is on the LAN: strangers, foreign routers, candidates, and peers' hardware addresses."""
