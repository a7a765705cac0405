// Resigns a LUN with the client that Xen Orchestra uses; prints what it was told, as JSON.
// Arguments: URL, transport (json-rpc or xml-rpc), device-config as JSON.
import { createRequire } from 'node:module'
import { pathToFileURL } from 'node:url'

const require = createRequire(process.env.NODE_MODULES + '/')
const { createClient } = await import(pathToFileURL(require.resolve('xen-api')).href)
const [url, transport, config] = process.argv.slice(2)
const xapi = createClient({
  auth: { user: 'root', password: 'secret' },
  url,
  transport,
  watchEvents: false,
  roCallRetryOptions: { tries: 1 },
})
// The calls themselves, without the object cache that connect() would fill.
const session = await xapi._createTransport({ dispatcher: xapi._undiciDispatcher, url: xapi._url })(
  'session.login_with_password',
  ['root', 'secret', '1.0', 'relun']
)
const call = (method, ...args) =>
  xapi._createTransport({ dispatcher: xapi._undiciDispatcher, url: xapi._url })(method, [session, ...args])
const [host] = await call('host.get_all')
const found = {}
found.types = Object.values(await call('SM.get_all_records')).map(sm => sm.type)
found.before = await call('SR.probe', host, JSON.parse(config), 'lvmoiscsi', {})
try {
  await call('SR.create', host, JSON.parse(config), '0', 'x', '', 'relvmoiscsi', 'user', true, {})
} catch (error) {
  found.code = error.code
  found.params = error.params
}
found.after = await call('SR.probe', host, JSON.parse(config), 'lvmoiscsi', {})
found.version = JSON.parse(await call('host.call_plugin', host, 'relun', 'version', {}))
console.log(JSON.stringify(found))
process.exit(0)
