package auth

// The .NET names of claims start with one of these.
const (
	claims05  = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"
	claims08  = "http://schemas.microsoft.com/ws/2008/06/identity/claims/"
	context12 = "http://schemas.microsoft.com/2012/01/requestcontext/claims/"
	device12  = "http://schemas.microsoft.com/2012/01/devicecontext/claims/"
	cert12    = "http://schemas.microsoft.com/2012/12/certificatecontext/"
	identity  = "http://schemas.microsoft.com/identity/claims/"
	adfs      = "http://schemas.xmlsoap.org/claims/"

	nameIdentifier = claims05 + "nameidentifier"
)

// longNames maps the short name of a claim in a token to the long .NET name
// (service-protocol, appendix A).
var longNames = map[string]string{
	"actort":                     "http://schemas.xmlsoap.org/ws/2009/09/identity/claims/actor",
	"birthdate":                  claims05 + "dateofbirth",
	"email":                      claims05 + "emailaddress",
	"family_name":                claims05 + "surname",
	"gender":                     claims05 + "gender",
	"given_name":                 claims05 + "givenname",
	"nameid":                     nameIdentifier,
	"sub":                        nameIdentifier,
	"website":                    claims05 + "webpage",
	"unique_name":                claims05 + "name",
	"oid":                        identity + "objectidentifier",
	"scp":                        identity + "scope",
	"tid":                        identity + "tenantid",
	"acr":                        "http://schemas.microsoft.com/claims/authnclassreference",
	"adfs1email":                 adfs + "EmailAddress",
	"adfs1upn":                   adfs + "UPN",
	"amr":                        "http://schemas.microsoft.com/claims/authnmethodsreferences",
	"authmethod":                 claims08 + "authenticationmethod",
	"certapppolicy":              cert12 + "extension/applicationpolicy",
	"certauthoritykeyidentifier": cert12 + "extension/authoritykeyidentifier",
	"certbasicconstraints":       cert12 + "extension/basicconstraints",
	"certeku":                    cert12 + "extension/eku",
	"certissuer":                 cert12 + "field/issuer",
	"certissuername":             cert12 + "field/issuername",
	"certkeyusage":               cert12 + "extension/keyusage",
	"certnotafter":               cert12 + "field/notafter",
	"certnotbefore":              cert12 + "field/notbefore",
	"certpolicy":                 cert12 + "extension/certificatepolicy",
	"certpublickey":              claims05 + "rsa",
	"certrawdata":                cert12 + "field/rawdata",
	"certserialnumber":           claims08 + "serialnumber",
	"certsignaturealgorithm":     cert12 + "field/signaturealgorithm",
	"certsubject":                cert12 + "field/subject",
	"certsubjectaltname":         cert12 + "extension/san",
	"certsubjectkeyidentifier":   cert12 + "extension/subjectkeyidentifier",
	"certsubjectname":            cert12 + "field/subjectname",
	"certtemplateinformation":    cert12 + "extension/certificatetemplateinformation",
	"certtemplatename":           cert12 + "extension/certificatetemplatename",
	"certthumbprint":             claims05 + "thumbprint",
	"certx509version":            cert12 + "field/x509version",
	"clientapplication":          context12 + "x-ms-client-application",
	"clientip":                   context12 + "x-ms-client-ip",
	"clientuseragent":            context12 + "x-ms-client-user-agent",
	"commonname":                 adfs + "CommonName",
	"denyonlyprimarygroupsid":    claims08 + "denyonlyprimarygroupsid",
	"denyonlyprimarysid":         claims08 + "denyonlyprimarysid",
	"denyonlysid":                claims05 + "denyonlysid",
	"devicedispname":             device12 + "displayname",
	"deviceid":                   device12 + "identifier",
	"deviceismanaged":            device12 + "ismanaged",
	"deviceostype":               device12 + "ostype",
	"deviceosver":                device12 + "osversion",
	"deviceowner":                device12 + "userowner",
	"deviceregid":                device12 + "registrationid",
	"endpointpath":               context12 + "x-ms-endpoint-absolute-path",
	"forwardedclientip":          context12 + "x-ms-forwarded-client-ip",
	"group":                      adfs + "Group",
	"groupsid":                   claims08 + "groupsid",
	"idp":                        identity + "identityprovider",
	"insidecorporatenetwork":     "http://schemas.microsoft.com/ws/2012/01/insidecorporatenetwork",
	"isregistereduser":           device12 + "isregistereduser",
	"ppid":                       claims05 + "privatepersonalidentifier",
	"primarygroupsid":            claims08 + "primarygroupsid",
	"primarysid":                 claims08 + "primarysid",
	"proxy":                      context12 + "x-ms-proxy",
	"pwdchgurl":                  "http://schemas.microsoft.com/ws/2012/01/passwordchangeurl",
	"pwdexpdays":                 "http://schemas.microsoft.com/ws/2012/01/passwordexpirationdays",
	"pwdexptime":                 "http://schemas.microsoft.com/ws/2012/01/passwordexpirationtime",
	"relyingpartytrustid":        context12 + "relyingpartytrustid",
	"role":                       claims08 + "role",
	"roles":                      claims08 + "role",
	"upn":                        claims05 + "upn",
	"winaccountname":             claims08 + "windowsaccountname",
}

// LongName returns the long .NET name of a claim that has a short one in tokens,
// "" when there is none. An ASP.NET application looks for users and roles under
// long names only (legacy-service-protocol 1.3).
func LongName(claim string) string { return longNames[claim] }

// shortNames is the way back. Where two short names share a long one, the SDK
// writes nameid and role.
var shortNames = func() map[string]string {
	m := make(map[string]string, len(longNames))
	for short, long := range longNames {
		m[long] = short
	}
	m[longNames["nameid"]] = "nameid"
	m[longNames["role"]] = "role"
	return m
}()
