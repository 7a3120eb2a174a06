"""How Slackwater is deployed: its image, and real engines for the machine of a developer."""
