package suite

import (
	"fmt"
	"slices"
	"strings"

	"github.com/signalrelay/signalrelay/relay/serviceproto"
)

// groupCases ask for the members of a group. Their answers have connection ids of
// any length in them, in any order, which a script cannot say.
var groupCases = []Case{
	{
		Name: "group-members", Level: Service,
		About: "The members of a group, with their users.",
		From:  "service-protocol 4.4, 40",
		Run: asServiceApp(func(a *serviceApp) {
			alice, nobody := a.client("alice"), a.client("")
			a.client("bob") // who is no member
			a.join("g", alice, nobody)
			a.equalMembers("the members of a group", a.members("g", nil, nil), groupMember(alice, "alice"), groupMember(nobody, ""))
			a.say(&serviceproto.LeaveGroup{ConnectionID: alice, AllGroups: true})
			a.equalMembers("the members of a group that one has left", a.members("g", nil, nil), groupMember(nobody, ""))
		}),
	}, {
		Name: "group-members-pages", Level: Service,
		About: "The members of a group come in pages as long as is asked for, each member once.",
		From:  "service-protocol 4.4, 40",
		Run: asServiceApp(func(a *serviceApp) {
			ids := []string{a.client("alice"), a.client("alice"), a.client("alice")}
			all := []serviceproto.GroupMember{groupMember(ids[0], "alice"), groupMember(ids[1], "alice"), groupMember(ids[2], "alice")}
			a.join("g", ids...)
			a.equalMembers("the members in pages of two", a.members("g", nil, new(2)), all...)
			if top := a.members("g", new(2), nil); len(top) != 2 {
				a.t.Fail("2 members", fmt.Sprintf("%d members", len(top)))
			}
		}),
	},
}

func groupMember(id, user string) serviceproto.GroupMember {
	return serviceproto.GroupMember{ConnectionID: id, UserID: user}
}

func (a *serviceApp) join(group string, ids ...string) {
	for _, id := range ids {
		r := a.ask(func(ack int) serviceproto.Message {
			return &serviceproto.JoinGroupWithAck{ConnectionID: id, Group: group, AckID: ack}
		})
		Equal(a.t, "the status of a join", serviceproto.StatusOK, r.Status)
	}
}

// members asks for the members of a group as the SDK does: page after page until
// there is no token of a next one, or until there are as many as top.
func (a *serviceApp) members(group string, top, pageSize *int) (all []serviceproto.GroupMember) {
	var from *string
	for range 10 { // more than any case has members
		r := a.ask(func(ack int) serviceproto.Message {
			return &serviceproto.GroupMemberQuery{Group: group, AckID: ack, Top: top, MaxPageSize: pageSize, ContinuationToken: from}
		})
		if r.Status == serviceproto.StatusNotFound {
			a.t.Skip("it does not list the members of a group, and says so (service-protocol 13, 41)")
		}
		Equal(a.t, "the status of a query", serviceproto.StatusOK, r.Status)
		page, next, err := serviceproto.ReadGroupMembers(r.Data)
		if err != nil {
			a.t.Failf("the members cannot be read: %v", err)
		}
		if pageSize != nil && len(page) > *pageSize {
			a.t.Fail(fmt.Sprintf("%d members in a page", *pageSize), fmt.Sprintf("%d members in a page", len(page)))
		}
		all = append(all, page...)
		if top != nil {
			top = new(*top - len(page))
		}
		if next == "" || top != nil && *top <= 0 {
			return all
		}
		from = &next
	}
	a.t.Failf("the pages of a group's members have no end")
	return nil
}

// equalMembers fails unless got is want in any order.
func (a *serviceApp) equalMembers(what string, got []serviceproto.GroupMember, want ...serviceproto.GroupMember) {
	byID := func(a, b serviceproto.GroupMember) int { return strings.Compare(a.ConnectionID, b.ConnectionID) }
	slices.SortFunc(got, byID)
	slices.SortFunc(want, byID)
	if !slices.Equal(got, want) {
		a.t.Fail(fmt.Sprintf("%s %v", what, want), fmt.Sprintf("%s %v", what, got))
	}
}
