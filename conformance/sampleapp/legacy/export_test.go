package legacy

// RedirectURL is where negotiate sends a client.
func (a *App) RedirectURL(path, query string) string { return a.redirectURL(path, query, requestID()) }
