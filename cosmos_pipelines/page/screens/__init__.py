"""The screens of the review page: each has its routes, its template, its style and its script."""
