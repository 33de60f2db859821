"""The centre: a near leg, a far leg, and the audio between them. It knows neither side."""
