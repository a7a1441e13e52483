using System.Management.Automation;
using System.Management.Automation.Runspaces;
using System.Reflection;

namespace PwshHost.Hosting;

/// <summary>The engine's own commands plus every cmdlet of this assembly.</summary>
internal static class CommandCatalog
{
    public static InitialSessionState CreateSessionState()
    {
        InitialSessionState state = InitialSessionState.CreateDefault2();
        foreach (Type type in typeof(CommandCatalog).Assembly.GetTypes())
        {
            if (type.GetCustomAttribute<CmdletAttribute>() is not { } cmdlet)
            {
                continue;
            }

            string name = $"{cmdlet.VerbName}-{cmdlet.NounName}";
            state.Commands.Add(new SessionStateCmdletEntry(name, type, helpFileName: null));
            foreach (string alias in type.GetCustomAttribute<AliasAttribute>()?.AliasNames ?? [])
            {
                state.Commands.Add(new SessionStateAliasEntry(alias, name));
            }
        }

        return state;
    }
}
