package nodegroups

import "slices"

// LifecycleHook is one that an Auto Scaling group waits for before it ends an instance, with the token of its action.
type LifecycleHook struct{ Name, Token string }

// Hooks are the lifecycle hooks that swell is to complete; none where all are another's.
func (n Interruption) Hooks() []LifecycleHook {
	if n.Hook == "" {
		return n.MoreHooks
	}
	return append([]LifecycleHook{{n.Hook, n.HookToken}}, n.MoreHooks...)
}

// WithHooks is n with the hooks of another notice of the same instance besides, and whether that has any that n has not.
func (n Interruption) WithHooks(other Interruption) (Interruption, bool) {
	hooks, news := n.Hooks(), false
	for _, h := range other.Hooks() {
		if slices.ContainsFunc(hooks, func(o LifecycleHook) bool { return o.Name == h.Name }) {
			continue
		}
		hooks, news = append(slices.Clip(hooks), h), true
	}
	if len(hooks) > 0 {
		n.Hook, n.HookToken, n.MoreHooks = hooks[0].Name, hooks[0].Token, slices.Clone(hooks[1:])
	}
	return n, news
}

// Of is n as the notice of one of its hooks alone.
func (h LifecycleHook) Of(n Interruption) Interruption {
	n.Hook, n.HookToken, n.MoreHooks = h.Name, h.Token, nil
	return n
}
