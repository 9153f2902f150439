// In place of react-devtools-core in the bundle of the screen: Ink loads it where a variable asks for it, and users have no use for it.
export default { initialize: () => undefined, connectToDevTools: () => undefined };
